"""What the pages point to is there."""

import os
import re
import subprocess
import unittest

import page

# A file of the project, named in backticks with its folder.
PATH = re.compile(r"`((?:\.ci|bench|common|consumers|demos|docs|producers|server|shmframe|tests|tools)"
                  r"/[\w./-]+\.\w+)`")


def pages():
    done = subprocess.run(["git", "-C", page.TOP, "ls-files", "-co", "--exclude-standard", "*.md"],
                          text=True, capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout.split()
    found = []
    for folder, folders, names in os.walk(page.TOP):
        folders[:] = [name for name in folders if not name.startswith((".", "build"))]
        found += [os.path.relpath(os.path.join(folder, name), page.TOP) for name in names
                  if name.endswith(".md")]
    return found


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


if __name__ == "__main__":
    unittest.main()
