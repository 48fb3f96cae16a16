"""Translate where there is no request."""

import json
from pathlib import Path

# --8<-- [start:import]
from rustforge.http import Catalogues, get_locale, t, use_locale

# --8<-- [end:import]

Path("locales").mkdir()
Path("locales/de.json").write_text(json.dumps({"Hello {name}": "Hallo {name}"}))

# --8<-- [start:use_locale]
catalogues = Catalogues.load("locales")  # which has de.json

with use_locale("de-CH", catalogues):  # what the user has chosen
    print(get_locale(), t("Hello {name}", name="Eva"))
print(get_locale(), t("Hello {name}", name="Eva"))
# --8<-- [end:use_locale]
