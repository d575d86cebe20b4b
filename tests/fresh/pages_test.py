#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pages.py finds the commands of a page, and refuses a page that it cannot read."""

import unittest

import pages

FENCE = "```"


def texts(page):
    return [command.text for block in pages.blocks_of("page", page) for command in pages.commands_of(block)]


def block(language, *lines, fence=FENCE, indent=""):
    return "\n".join(f"{indent}{line}" for line in (fence + language, *lines, fence)) + "\n"


class Sh(unittest.TestCase):
    def test_a_command_per_line(self):
        self.assertEqual(texts(block("sh", "# a comment", "make", "", "  ls   # its own")), ["make", "  ls   # its own"])

    def test_a_command_of_several_lines(self):
        self.assertEqual(texts(block("sh", "echo a \\", "  b", "for i in 1", "do echo $i", "done")),
                         ["echo a \\\n  b", "for i in 1\ndo echo $i\ndone"])

    def test_a_here_document_with_commands_in_it(self):
        self.assertEqual(texts(block("sh", "cat > file <<'END'", "make", "END", "ls")), ["cat > file <<'END'\nmake\nEND", "ls"])

    def test_a_quotation_over_lines(self):
        self.assertEqual(texts(block("sh", "echo 'a", "b'")), ["echo 'a\nb'"])

    def test_an_unfinished_command_is_refused(self):
        with self.assertRaisesRegex(ValueError, "page:2: the shell expects more"):
            texts(block("sh", "echo 'a"))


class Console(unittest.TestCase):
    def test_what_it_prints(self):
        found = pages.commands_of(pages.blocks_of("page", "text\n\n" + block("console", "$ ls", "a", "b", "$ true", "$ cat", "> x"))[0])
        self.assertEqual([(command.line, command.text, command.shown) for command in found],
                         [(4, "ls", "a\nb\n"), (7, "true", ""), (8, "cat", "> x\n")])

    def test_a_command_of_several_lines(self):
        found = pages.commands_of(pages.blocks_of("page", block("console", "$ echo 'a", "> b'", "a", "b"))[0])
        self.assertEqual([(command.text, command.shown) for command in found], [("echo 'a\nb'", "a\nb\n")])

    def test_output_without_command_is_refused(self):
        with self.assertRaisesRegex(ValueError, "page:2: a console block"):
            texts(block("console", "ls"))


class Blocks(unittest.TestCase):
    def test_what_is_not_typed(self):
        self.assertEqual(texts(block("", "a") + block("c", "int a;") + block("sh", "ls")), ["ls"])

    def test_an_unknown_language_is_refused(self):
        with self.assertRaisesRegex(ValueError, "page:2: a block of bash"):
            texts(block("bash", "ls"))

    def test_a_block_in_a_list(self):
        self.assertEqual(texts("- item\n\n" + block("sh", "ls", indent="  ")), ["ls"])

    def test_a_longer_fence_holds_shorter_ones(self):
        self.assertEqual(texts(block("text", *block("sh", "ls").splitlines(), fence="````")), [])

    def test_a_block_without_end_is_refused(self):
        with self.assertRaisesRegex(ValueError, "page:2: the block does not end"):
            texts(f"{FENCE}sh\nls\n")


class Programs(unittest.TestCase):
    PAGE = (block("sh", "cc a.c") + block("c", "int main(void) { return 1; }") + block("c", "int helper;") +
            block("c", "int main(void) { return 2; }") + block("sh", "cc a.c"))

    def test_the_nearest_above_or_the_first_below(self):
        blocks = pages.blocks_of("page", self.PAGE)
        first, last = (pages.commands_of(blocks[i])[0] for i in (0, 4))
        self.assertIn("return 1", pages.program_for(first, blocks).text)
        self.assertIn("return 2", pages.program_for(last, blocks).text)

    def test_none(self):
        blocks = pages.blocks_of("page", block("sh", "cc a.c"))
        self.assertIsNone(pages.program_for(pages.commands_of(blocks[0])[0], blocks))


if __name__ == "__main__":
    unittest.main()
