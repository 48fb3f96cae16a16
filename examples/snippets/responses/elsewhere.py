"""Translate where there is no request."""

# --8<-- [start:use_locale]
from rustforge.http import Catalogues, t, use_locale

catalogues = Catalogues({"de": {"Hello {name}": "Hallo {name}"}})

with use_locale("de-CH", catalogues):  # what the user has chosen
    print(t("Hello {name}", name="Eva"))
print(t("Hello {name}", name="Eva"))
# --8<-- [end:use_locale]
