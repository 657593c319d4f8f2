"""Every edge of the memory order stands in layout.h, at both ends in the code, and in the page.

What docs/memory-model.md says of mutants is compared with the lists that tests/model/check and
tests/stress/mutants.py run.
"""

import importlib.machinery
import importlib.util
import os
import re
import unittest

import page

MODEL = "docs/memory-model.md"
FOLDERS = ("shmframe/src", "server")
EDGE_HEAD = ["edge", "from", "to"]
IN_COMMENT = re.compile(r"(?<![\w(])([A-Z])(?=[,:] | ->| \*/)")


def load(path):
    """A script as a module."""
    loader = importlib.machinery.SourceFileLoader("script", os.path.join(page.TOP, path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("script", loader))
    loader.exec_module(module)
    return module


def sources():
    for folder in FOLDERS:
        for name in sorted(os.listdir(os.path.join(page.TOP, folder))):
            if name.endswith((".c", ".h")) and name != "layout.h":
                yield name, page.read(f"{folder}/{name}")


def comments(text):
    return re.findall(r"/\*.*?\*/", text, flags=re.S)


def edges_in(text):
    return {edge for comment in comments(text) for edge in IN_COMMENT.findall(comment)}


def functions():
    """(file, name) -> body, of every function in the sources."""
    found = {}
    for name, text in sources():
        plain = re.sub(r"__attribute__\(\(\w+\)\)\s+", "", text)
        for match in re.finditer(r"^\w[\w *]*?\n?(\w+)\([^;{}]*\) {\n(.*?)^}", plain,
                                 flags=re.M | re.S):
            found[name, match[1]] = match[2]
    return found


def rows():
    return {row[0]: row for _, head, rows in page.tables(MODEL) if head[:3] == EDGE_HEAD
            for row in rows}


def places(cell):
    """"ring.c: a(), b(); bell.c: c()" as pairs."""
    for part in cell.split(";"):
        name, _, names = part.strip().partition(": ")
        for function in names.split(", "):
            yield name, function.removesuffix("()")


class Edges(unittest.TestCase):
    def test_edges_of_layout_h_are_those_of_the_page(self):
        head = comments(page.read("shmframe/src/layout.h"))[0]
        declared = re.findall(r"^ \*   ([A-Z]) ", head, flags=re.M)
        self.assertEqual(sorted(declared), sorted(rows()))
        self.assertGreaterEqual(len(declared), 8)

    def test_edges_at_declarations_are_those_of_the_page(self):
        for comment in comments(page.read("shmframe/src/layout.h"))[1:]:
            for order in re.findall(r"order (.*)", comment):
                named = re.findall(r"(?:^\s*|; )([A-Z])(?= )", order)
                self.assertLessEqual(set(named), set(rows()), comment)

    def test_every_comment_names_an_edge_of_the_page(self):
        for name, text in sources():
            self.assertLessEqual(edges_in(text), set(rows()), name)

    def test_both_ends_bear_the_letter(self):
        bodies = functions()
        for edge, row in rows().items():
            for place in (*places(row[1]), *places(row[2])):
                self.assertTrue(place in bodies, f"edge {edge}: there is no {place}")
                self.assertIn(edge, edges_in(bodies[place]), f"edge {edge}: {place}")

    def test_no_place_that_bears_a_letter_is_missing_from_its_row(self):
        for place, body in functions().items():
            for edge in edges_in(body):
                row = rows()[edge]
                self.assertIn(place, {*places(row[1]), *places(row[2])}, f"edge {edge}")

    def test_orders_without_a_letter_are_in_functions_that_exist(self):
        bodies = functions()
        for _, head, table in page.tables(MODEL):
            if head[0] == "where":
                for row in table:
                    for place in places(row[0]):
                        self.assertTrue(place in bodies, f"there is no {place}")


class Mutants(unittest.TestCase):
    def setUp(self):
        self.check = load("tests/model/check")
        text = page.read(MODEL)
        self.of_models = re.findall(r"`(\w+) (MUT_\w+)` \(([^)]*)\)", text)
        self.of_code = re.findall(r"`([A-Z]\d? [^`]+)` \(([^)]*)\)", text)

    def cases(self, model, mutant, who):
        check = self.check
        if who == "Spin":
            return [case for case in check.SPIN_SMALL + check.SPIN_FULL
                    if case[0] == model and mutant in case[1].split()]
        tool = {"x86": check.BARE, "TSan": check.TSAN}[who]
        return [case for case in check.LITMUS
                if case[:2] == (model, tool) and mutant in case[2].split()]

    def test_each_weakened_end_has_a_mutant_or_a_mark(self):
        seen = set()
        for _, head, table in page.tables(MODEL):
            if head[:2] != ["edge", "weakened"]:
                continue
            for edge, _, code, model in table:
                self.assertRegex(code + model, r"\((edges|races|steps|ring|ring_read|bell|x86|TSan|Spin)\b|"
                                               r"only a litmus program|nobody")
                seen.add(edge)
        self.assertEqual(seen, set(rows()))

    def test_mutants_of_the_models_are_run_and_must_fail(self):
        for model, mutant, who in self.of_models:
            if who in ("GenMC only", "nobody"):
                continue
            cases = self.cases(model, mutant, who)
            self.assertTrue(cases, f"{model} {mutant} ({who})")
            self.assertNotIn(self.check.HOLDS, [case[-1] for case in cases])

    def test_mutants_that_nothing_runs_exist(self):
        for model, mutant, who in self.of_models:
            if who in ("GenMC only", "nobody"):
                self.assertIn(mutant, page.read(f"tests/model/litmus_{model}.c"))
                self.assertEqual([case for case in self.check.LITMUS
                                  if case[0] == model and mutant in case[2].split()], [])

    def test_mutants_of_the_code_are_run_by_the_program_that_is_named(self):
        real = {(name, f"{program} {arguments}".strip())
                for name, _, _, _, program, arguments in load("tests/stress/mutants.py").MUTANTS}
        self.assertEqual(set(self.of_code) - real, set())
        of_edges = {item for item in real if re.match(r"[A-Z] ", item[0])}
        self.assertEqual(of_edges - set(self.of_code), set())


if __name__ == "__main__":
    unittest.main()
