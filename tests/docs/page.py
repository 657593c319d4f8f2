"""Markdown pages, as far as the tests need them: headings, tables, code blocks."""

import os
import re

TOP = os.environ["TOP"]


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def plain(cell):
    """A cell's text without its backticks."""
    return cell.strip().replace("`", "")


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def tables(path):
    """Each table of the page: the heading above it, its head, its rows; all as plain text."""
    heading, table = "", None
    for line in without_code(read(path)).splitlines() + [""]:
        if line.startswith("#"):
            heading = plain(line.lstrip("#"))
        if not line.startswith("|"):
            if table:
                yield table
            table = None
            continue
        cells = [plain(cell) for cell in line.strip().strip("|").split("|")]
        if table is None:
            table = (heading, cells, [])
        elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            table[2].append(cells)


def code_blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", read(path), flags=re.M | re.S)
