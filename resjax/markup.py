"""One table of texts as Markdown, LaTeX or plain text."""

from collections.abc import Sequence

Cells = Sequence[Sequence[str]]
# What LaTeX reads otherwise.
LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "⁹": r"$^9$",
}


def markdown(header: Sequence[str], body: Cells) -> str:
    rule = "|---|" + "---:|" * (len(header) - 1)
    return "\n".join([f"| {' | '.join(header)} |", rule, *(f"| {' | '.join(row)} |" for row in body)])


def text(header: Sequence[str], body: Cells) -> str:
    widths = [max(len(row[i]) for row in [header, *body]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, *body]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def latex(header: Sequence[str], body: Cells, heading: str = "") -> str:
    """A tabular in the style of the package booktabs; a heading is its first row."""
    lines = [_latex_row(row) for row in body]
    columns = "l" + "r" * (len(header) - 1)
    across = f"\\multicolumn{{{len(header)}}}{{l}}{{\\emph{{{_escaped(heading)}}}}} \\\\"
    top = ["\\toprule", *([across, "\\midrule"] if heading else []), _latex_row(header), "\\midrule"]
    begin = f"\\begin{{tabular}}{{{columns}}}"
    return "\n".join([begin, *top, *lines, "\\bottomrule", "\\end{tabular}"])


def latex_comment(text: str) -> str:
    """-> the same with every line as a comment."""
    return "\n".join(f"% {line}".rstrip() for line in text.splitlines())


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(_escaped(cell) for cell in cells) + r" \\"


def _escaped(text: str) -> str:
    return text.translate(str.maketrans(LATEX))
