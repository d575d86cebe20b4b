#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program links what pkg-config says of the installed library, shared and static, and the loader finds all of it. The installed tool
embeds pages."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("PIPIT_BUILD", ROOT / "build")).resolve()
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
SOURCE = "#include <pipit.h>\n#include <stdio.h>\nint main(void)\n{\n\tputs(pipit_version());\n}\n"


PAGES_SOURCE = """#include <pipit.h>
#include <stdio.h>
extern const struct pipit_page embedded_pages[];
extern const size_t embedded_page_count;
int main(void)
{
	struct pipit_site_options options = { .pages = embedded_pages, .page_count = embedded_page_count };
	struct pipit_site *site = NULL;
	char error[256] = "";
	int result = pipit_site_open(&options, &site, error, sizeof error);
	printf("%zu pages, the first is %s%s\\n", embedded_page_count, embedded_pages[0].path, error);
	pipit_site_free(site);
	return result != 0;
}
"""


def wrong_pages(folder, environment):
    """The installed tool, with the installed header and library alone."""
    pages = pathlib.Path(folder, "pages")
    pages.mkdir()
    (pages / "index.html").write_text("<!doctype html>" + "<p>a page" * 100)
    pathlib.Path(folder, "pages_main.c").write_text(PAGES_SOURCE)
    command = ("bin/pipit-embed pages pages.c && cc pages.c pages_main.c $(pkg-config --cflags --libs pipit-static) -o with_pages"
               " && ./with_pages")
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, env=environment, check=False)
    if done.stdout != "1 pages, the first is /index.html\n" or done.returncode != 0:
        yield f"{command}\n{done.stdout}{done.stderr}"


def wrong_links(folder):
    pathlib.Path(folder, "version.c").write_text(SOURCE)
    printed = subprocess.run(["cmake", "--install", BUILD, "--prefix", folder], check=True, capture_output=True, text=True).stdout
    advice = re.search(r"-Wl,-rpath,[^, ]+", printed)
    if not advice:
        yield f"cmake --install does not say how a program finds the library in {folder}:\n{printed}"
        return
    environment = dict(ENVIRONMENT, PKG_CONFIG_PATH=str(next(pathlib.Path(folder).rglob("pipit.pc")).parent))
    for package, options, is_shared in (("pipit", advice.group(), True), ("pipit-static", "", False)):
        command = f"cc version.c $(pkg-config --cflags --libs {package}) {options} -o version && ldd version && ./version"
        done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0 or "not found" in done.stdout or ("libpipit" in done.stdout) != is_shared:
            yield f"{command}\n{done.stdout}{done.stderr}"
    yield from wrong_pages(folder, environment)


def main():
    with tempfile.TemporaryDirectory() as folder:
        wrong = list(wrong_links(folder))
    print("\n".join(wrong) or "linked and ran, shared and static")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
