"""One file a side, each a process of its own: they import no more of this package than they measure."""
