"""Checks Kubernetes manifests against the schemas of their kinds, strictly; says what is wrong.

usage: manifests.py FILE…
"""

import sys

import kubernetes_validate
import yaml

# Their schemas come with their operators; the tests look at these themselves.
ELSEWHERE = {"ScaledObject", "ServiceMonitor", "Kustomization"}

wrong, checked = [], 0
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        for document in yaml.safe_load_all(file):
            if document["kind"] in ELSEWHERE:
                continue
            checked += 1
            try:
                kubernetes_validate.validate(document, "1.30", strict=True)
            except kubernetes_validate.ValidationError as error:
                wrong.append(f"{path}: {document['kind']}: {error}")
print("\n".join(wrong) or f"{checked} manifests are fine")
sys.exit(bool(wrong))
