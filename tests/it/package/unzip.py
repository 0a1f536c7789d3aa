"""Unpacks a zip with the modes in it and prints its entries as JSON: unzip.py ZIP FOLDER."""
import json
import os
import sys
import zipfile

entries = []
with zipfile.ZipFile(sys.argv[1]) as package:
    assert package.testzip() is None
    for entry in package.infolist():
        mode = entry.external_attr >> 16 & 0o777
        os.chmod(package.extract(entry, sys.argv[2]), mode)
        entries.append({"name": entry.filename, "mode": f"{mode:o}", "date": entry.date_time})
print(json.dumps(entries))
