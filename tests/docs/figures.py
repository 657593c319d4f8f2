"""Every figure in the pages about memory and protocol is what the compiler says.

The tables of docs/memory-layout.md and docs/protocol.md are turned into one C program, which includes
the real headers; what it prints is compared with what the pages say.
"""

import os
import re
import shlex
import subprocess
import tempfile
import unittest

import page

LAYOUT = "docs/memory-layout.md"
PROTOCOL = "docs/protocol.md"

# How a part of a word is made of a value x. What a word has besides is taken out.
WORDS = {
    ("slot_word", "state"): "slot_word(0, (enum slot_state)x)",
    ("slot_word", "sequence"): "slot_word(x, (enum slot_state)0)",
    ("place_word", "slot"): "place_word(0, (uint32_t)x)",
    ("place_word", "sequence"): "place_word(x, 0)",
    ("lease_word", "slot"): "lease_word(0, (uint32_t)x) ^ LEASE_VALID",
    ("lease_word", "valid"): "x * lease_word(0, 0)",
    ("lease_word", "sequence"): "lease_word(x, 0) ^ LEASE_VALID",
    ("wait_word", "mode"): "wait_word(0, (enum wait_mode)x)",
    ("wait_word", "episode"): "wait_word((uint32_t)x, (enum wait_mode)0)",
    ("grant_word", "state"): "grant_word((struct grant){.state = (enum entry_state)x})",
    ("grant_word", "leases"): "grant_word((struct grant){.leases = (uint32_t)x})",
    ("grant_word", "depth"): "grant_word((struct grant){.depth = (uint32_t)x})",
    ("grant_word", "lossless"): "grant_word((struct grant){.is_lossless = x})",
    ("grant_word", "serial"): "grant_word((struct grant){.serial = (uint32_t)x})",
    ("reader_word", "state"): "reader_word(0, (enum entry_state)x)",
    ("reader_word", "gone generation"): "reader_word((uint32_t)x, (enum entry_state)0)",
}
UNITS = {"": 1, "s": 10**9, "ms": 10**6, "us": 10**3, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def number(text):
    """1,024; 0x100; 2^42; 250 ms, in nanoseconds."""
    power = re.fullmatch(r"(\d+)\^(\d+)", text)
    if power:
        return int(power[1]) ** int(power[2])
    if text.startswith("0x"):
        return int(text, 16)
    value, unit = re.fullmatch(r"([\d,]+) ?(\w*)", text).groups()
    return int(value.replace(",", "")) * UNITS[unit]


def compute(lines):
    """What a C program with these lines in main() prints, a line each."""
    source = ['#include "limits.h"', '#include "message.h"', "#include <stdio.h>",
              "#define SHOW(x) printf(\"%llu\\n\", (unsigned long long)(x))", "int main(void) {",
              *lines, "}"]
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "figures")
        with open(program + ".c", "w", encoding="utf-8") as file:
            file.write("\n".join(source))
        subprocess.run([*shlex.split(os.environ["CC"]), "-std=gnu17", "-D_GNU_SOURCE",
                        *(f"-I{page.TOP}/{where}"
                          for where in ("shmframe/src", "shmframe/include", "server")),
                        program + ".c", f"{page.TOP}/shmframe/src/message.c",
                        f"{page.TOP}/shmframe/src/error.c", "-o", program], check=True)
        done = subprocess.run([program], text=True, capture_output=True, check=True)
    return done.stdout.splitlines()


def layout_tables():
    for heading, head, rows in page.tables(LAYOUT):
        if head[:3] == ["offset", "bytes", "field"]:
            yield re.search(r"struct (\w+)", heading)[1], rows


def members_of(struct, header="layout.h"):
    """The names of a struct's members, as the header declares them."""
    text = re.sub(r"/\*.*?\*/", "", page.read("shmframe/src/" + header), flags=re.S)
    body = re.search(rf"^struct {struct} {{(.*?)^}};", text, flags=re.M | re.S)[1]
    names = []
    for declaration in body.split(";"):
        declaration = re.sub(r"\[[^]]*\]|alignas\([^)]*\)", "", declaration).strip()
        if declaration:
            first, *others = declaration.split(",")
            names += [first.split()[-1], *(name.strip() for name in others)]
    return names


class Layout(unittest.TestCase):
    def test_every_struct_of_layout_h_has_its_table(self):
        text = page.read("shmframe/src/layout.h")
        declared = set(re.findall(r"^struct (\w+) {", text, flags=re.M)) - {"grant"}
        self.assertEqual(declared, {struct for struct, _ in layout_tables()})

    def test_offsets_and_sizes_are_the_compilers(self):
        for struct, rows in layout_tables():
            fields = [row for row in rows if row[2] != "-"]
            lines = [f"SHOW(sizeof(struct {struct}));"]
            for row in fields:
                lines += [f"SHOW(offsetof(struct {struct}, {row[2]}));",
                          f"SHOW(sizeof(((struct {struct} *)0)->{row[2]}));"]
            size, *places = [int(line) for line in compute(lines)]
            told = [number(cell) for row in fields for cell in row[:2]]
            self.assertEqual(told, places, f"struct {struct}")
            end = 0
            for row in rows:
                self.assertEqual(number(row[0]), end, f"struct {struct}: gap before {row[2]}")
                end += number(row[1])
            self.assertEqual(end, size, f"struct {struct}")

    def test_no_member_is_missing(self):
        for struct, rows in layout_tables():
            self.assertEqual([row[2] for row in rows if row[2] != "-"], members_of(struct))

    def test_parts_of_words_are_where_the_page_says(self):
        seen = {}
        for _, head, rows in page.tables(LAYOUT):
            if head[:4] != ["word", "part", "first bit", "bits"]:
                continue
            for word, part, first, bits, *_ in rows:
                seen[word, part] = (int(first), int(bits))
        self.assertEqual(set(seen), set(WORDS))
        lines, wanted = [], []
        for key, (first, bits) in seen.items():
            mask = (1 << bits) - 1
            lines.append("{ const uint64_t x = UINT64_C(%d); SHOW(%s); }" % (mask, WORDS[key]))
            wanted.append((key, mask << first))
        got = [(key, int(line)) for (key, _), line in zip(wanted, compute(lines))]
        self.assertEqual(got, wanted)
        for word in {word for word, _ in seen}:
            taken = 0
            for (of, part), (first, bits) in seen.items():
                if of == word:
                    self.assertEqual(taken & ((1 << bits) - 1) << first, 0, f"{word}: {part}")
                    taken |= ((1 << bits) - 1) << first


class Constants(unittest.TestCase):
    def test_constants_have_the_value_that_the_pages_tell(self):
        told = []
        for path in (LAYOUT, PROTOCOL):
            for _, head, rows in page.tables(path):
                if head[:2] == ["constant", "value"]:
                    told += [(row[0], number(row[1])) for row in rows]
        self.assertGreater(len(told), 20)
        got = compute([f"SHOW({name});" for name, _ in told])
        self.assertEqual([(name, int(line)) for (name, _), line in zip(told, got)], told)

    def test_no_limit_of_the_supervisor_is_missing(self):
        text = re.sub(r"/\*.*?\*/", "", page.read("server/limits.h"), flags=re.S)
        declared = set(re.findall(r"^ {4}([A-Z_]+) =", text, flags=re.M))
        declared |= set(re.findall(r"^#define ([A-Z_]+) +\S", text, flags=re.M))
        told = {row[0] for _, head, rows in page.tables(PROTOCOL)
                if head[:2] == ["constant", "value"] for row in rows}
        self.assertEqual(declared - told, set())


class Messages(unittest.TestCase):
    def test_the_table_is_the_protocols_grammar(self):
        rows = [row for _, head, rows in page.tables(PROTOCOL) if head[0] == "message" for row in rows]
        senders = {"session": (1, 0), "supervisor": (0, 1), "both": (1, 1)}
        told = []
        for name, sender, size, descriptors, *_ in rows:
            count = 0 if descriptors == "-" else len(descriptors.split(","))
            told.append((name, *senders[sender], int(size), count))
        lines = ["for (unsigned i = 1; i < MESSAGE_TYPES; i++)",
                 '    printf("%s %d %d %u %u\\n", message_name(i), message_is_from_session(i), '
                 'message_is_from_supervisor(i), message_bytes(i), message_fds(i));']
        real = [(line.split()[0], *(int(figure) for figure in line.split()[1:]))
                for line in compute(lines)]
        self.assertEqual(sorted(told), sorted(real))

    def test_no_field_of_a_message_is_missing(self):
        rules = re.findall(r"^ +RULE\((\w+), (\w+),", page.read("shmframe/src/message.c"),
                           flags=re.M)
        told = {row[0]: re.findall(r"\w+", row[4]) for _, head, rows in page.tables(PROTOCOL)
                if head[0] == "message" for row in rows}
        flags = set(re.findall(r"^ {4}MESSAGE_(\w+) = 1 <<", page.read("shmframe/src/message.h"),
                               flags=re.M))
        for name, struct in rules:
            if struct == "header":
                continue
            members = set(members_of("message_" + struct, "message.h")) - {"header", "reserved"}
            self.assertEqual(members - set(told[name]), set(), name)
            named = {word for word in told[name] if word.isupper()}
            self.assertLessEqual(named, flags, name)
        self.assertEqual(flags, {word for words in told.values() for word in words if word.isupper()})


if __name__ == "__main__":
    unittest.main()
