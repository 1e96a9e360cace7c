"""A hook of MkDocs: what of docs/ is for the site, and where links lead that leave it."""

import re

# A relative link out of the folder, as in [policy](../config/policy/gate.yaml).
OUTSIDE = re.compile(r"\]\(\.\./([^)\s]*)\)")


def on_files(files, **_):
    """Leave out the tests of the pages, which stand beside them."""
    for file in list(files):
        if file.src_path.endswith(".go"):
            files.remove(file)
    return files


def on_page_markdown(markdown, config, **_):
    """Return the page with links to files outside of docs/ leading to the repository."""
    return OUTSIDE.sub(lambda link: f"]({config['repo_url'].rstrip('/')}/blob/main/{link[1]})", markdown)
