"""Look at what the envelope is in JSON."""

# --8<-- [start:envelope]
from rustforge.http import ApiResponse, ErrorResponse

print(ApiResponse.success({"id": 1}).model_dump_json())
print(ApiResponse.success(None, "Done.").model_dump_json())
print(ApiResponse.success([], "  ").model_dump_json())
print(ErrorResponse(message="Not Found", error_code="NOT_FOUND").model_dump_json())
# --8<-- [end:envelope]
