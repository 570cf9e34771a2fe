from typing import TypedDict

class BuildInfo(TypedDict):
    compiler: str
    source_hash: str
    ffi_api_version: tuple[int, int]
    architectures: list[int]
    ptx: int

class Device(TypedDict):
    name: str
    capability: int
    usable: bool

class Probe(TypedDict):
    driver: int
    runtime: int
    error: str
    devices: list[Device]

def registrations() -> dict[str, object]: ...
def build_info() -> BuildInfo: ...
def probe() -> Probe: ...
