from typing import TypedDict

class BuildInfo(TypedDict):
    compiler: str
    source_hash: str
    ffi_api_version: tuple[int, int]
    instruction_sets: list[str]

def registrations() -> dict[str, object]: ...
def build_info() -> BuildInfo: ...
