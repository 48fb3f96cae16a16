"""Read storage URLs, and see what is wrong with one."""

# --8<-- [start:urls]
from rustforge.errors import ConfigurationError
from rustforge.storage import Storage, StorageUrl

for url in (
    "file:///var/lib/shop",
    "s3://shop-files/uploads?region=eu-west-1",
    "minio://key:secret@127.0.0.1:9000/shop-files",
    "r2://account/shop-files",
):
    print(StorageUrl.parse(url))

try:
    Storage("s3://key:secret@shop-files?zone=eu-west-1")
except ConfigurationError as error:
    print(error)
# --8<-- [end:urls]
