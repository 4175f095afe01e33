"""Tables of figures on a terminal."""

from cli.console import out


def print_columns(rows: list[list[str]]) -> None:
    """Prints lines of aligned columns, the first to the left, whatever the terminal's width; an empty line first."""
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    out.print()
    for row in rows:
        line = "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        out.print(line.rstrip())
