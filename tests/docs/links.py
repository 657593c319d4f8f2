"""What pages and comments point to is there, and no file holds two forms of itself."""

import os
import re
import subprocess
import unittest

import page

# A file of the project, named in backticks with its folder.
PATH = re.compile(r"`((?:\.ci|bench|common|consumers|demos|docs|producers|server|shmframe|tests|tools)"
                  r"/[\w./-]+\.\w+)`")


# A comment or a string of a C file; and a function that is named.
SPOKEN = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', flags=re.S)
FUNCTION = re.compile(r"(?<!\.)\b([A-Za-z_]\w*)\(\)")
# Of the kernel, of libc and of other libraries: nothing here calls them.
FOREIGN = {"av_log", "avutil_license", "ff_reget_buffer", "initgroups", "memblock_wait",
           "pa_memimport_free", "vmsplice"}

# What a merge leaves where two have changed the same.
CONFLICT = re.compile(rb"^(<{7}|\|{7}|>{7})( .*)?$", flags=re.M)


def files():
    done = subprocess.run(["git", "-C", page.TOP, "ls-files", "-coz", "--exclude-standard"],
                          text=True, capture_output=True, check=False)
    if done.returncode == 0:
        return [path for path in done.stdout.split("\0")
                if os.path.isfile(os.path.join(page.TOP, path))]
    found = []
    for folder, folders, names in os.walk(page.TOP):
        folders[:] = [name for name in folders if not name.startswith((".", "build"))]
        found += [os.path.relpath(os.path.join(folder, name), page.TOP) for name in names]
    return found


def pages():
    return [path for path in files() if path.endswith(".md")]


def anchors(path):
    """As GitHub and others make them of headings."""
    headings = re.findall(r"^#+ +(.*)$", page.without_code(page.read(path)), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Links(unittest.TestCase):
    def test_there_are_pages(self):
        self.assertLessEqual({"README.md", "CONTRIBUTING.md", "docs/architecture.md"}, set(pages()))

    def test_relative_links_lead_somewhere(self):
        for path in pages():
            text = page.without_code(page.read(path))
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, anchor = target.partition("#")
                place = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
                self.assertFalse(place.startswith(".."), f"{path}: {target}")
                self.assertTrue(os.path.exists(os.path.join(page.TOP, place)), f"{path}: {target}")
                if anchor:
                    self.assertIn(anchor, anchors(place), f"{path}: {target}")

    def test_files_that_are_named_are_there(self):
        for path in pages():
            for name in PATH.findall(page.without_code(page.read(path))):
                self.assertTrue(os.path.exists(os.path.join(page.TOP, name)), f"{path}: {name}")

    def test_functions_that_are_named_are_there(self):
        named, called = {}, set()
        for path in files():
            if path.endswith((".c", ".h")):
                text = page.read(path)
                called.update(re.findall(r"\w+", SPOKEN.sub(" ", text)))
                spoken = "\n".join(part for part in SPOKEN.findall(text) if part[0] == "/")
            elif path.endswith(".md"):
                spoken = page.read(path)
            else:
                continue
            named.update((name, path) for name in FUNCTION.findall(spoken))
        self.assertGreater(len(named), 200)
        self.assertEqual({name: path for name, path in named.items() if name not in called | FOREIGN}, {})

    def test_every_page_can_be_reached_from_the_readme(self):
        reached, todo = set(), ["README.md"]
        while todo:
            path = todo.pop()
            if path in reached:
                continue
            reached.add(path)
            for target in re.findall(r"\]\(([^)\s#]+\.md)[^)]*\)", page.read(path)):
                if not re.match(r"[a-z]+:", target):
                    todo.append(os.path.normpath(os.path.join(os.path.dirname(path), target)))
        self.assertEqual({path for path in pages() if path.startswith("docs/")} - reached, set())

    def test_no_file_holds_what_a_merge_left(self):
        for path in files():
            with open(os.path.join(page.TOP, path), "rb") as file:
                found = CONFLICT.search(file.read())
            self.assertIsNone(found, path)


if __name__ == "__main__":
    unittest.main()
