"""Dependencies: licences that we may ship, sources we know, one TLS stack.

Reads `cargo metadata --format-version 1` from standard input; says what is wrong and exits with 1.
"""

import json
import re
import sys

ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause",
    "BSL-1.0", "CC0-1.0", "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense",
    "Zlib",
}
BANNED = {"openssl-sys": "rustls is the TLS stack", "aws-lc-sys": "ring is the crypto provider"}


def allowed(expression):
    """True if one alternative consists of allowed licences only. Parentheses only group here."""
    plain = re.sub(r"[()]", "", expression).replace("/", " OR ")
    alternatives = plain.split(" OR ")
    return any(all(part.strip() in ALLOWED for part in a.split(" AND ")) for a in alternatives)


wrong = []
for package in json.load(sys.stdin)["packages"]:
    name, source = package["name"], package["source"]
    if source is None:
        continue
    if not allowed(package["license"] or "none"):
        wrong.append(f"{name}: licence {package['license']}")
    if not source.startswith("registry+"):
        wrong.append(f"{name}: comes from {source}")
    if name in BANNED:
        wrong.append(f"{name}: {BANNED[name]}")
print("\n".join(wrong) or "licences and sources are fine")
sys.exit(bool(wrong))
