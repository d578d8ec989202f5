"""What training costs, in multiply-adds of convolutions and dense layers; evaluation is not counted."""

from resjax.anatomy import Anatomy
from resjax.device import parts_between
from resjax.models.heads import Net

BACKWARD = 2  # a backward pass takes twice a forward one: gradients of the input, and of the weights


def trained(net: Net, anatomy: Anatomy, steps: int, teacher: int) -> int:
    """-> of one example at each of `steps` steps: what learns, its heads while they last, and a teacher.

    Args:
      teacher: multiply-adds of one example's way through the teacher.
    """
    _, parts = anatomy.span(net.after, net.until)
    total = steps * (1 + BACKWARD) * anatomy.cost(parts)
    for head, _ in net.heads:
        total += (head.discard_at or steps) * (1 + BACKWARD) * anatomy.cost([head.name])
    taught = any(head.target == "teacher" for head, _ in net.heads)
    return total + (steps * teacher if taught else 0)


def frozen(net: Net, anatomy: Anatomy, kept: str) -> int:
    """-> of one example's way to what learns, from the endpoint `kept` on, or from the image."""
    return anatomy.cost(parts_between(anatomy.shapes, kept, net.after)) if net.after else 0
