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


def latex(header: Sequence[str], body: Cells) -> str:
    """A tabular in the style of the package booktabs."""
    lines = [_latex_row(row) for row in body]
    columns = "l" + "r" * (len(header) - 1)
    begin = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", _latex_row(header), "\\midrule"]
    return "\n".join([*begin, *lines, "\\bottomrule", "\\end{tabular}"])


def _latex_row(cells: Sequence[str]) -> str:
    translation = str.maketrans(LATEX)
    return " & ".join(cell.translate(translation) for cell in cells) + r" \\"
