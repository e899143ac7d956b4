"""Sets up and starts Triton from the wheel of `nvidia-pytriton`, without PyTriton.

The wheel carries `tritonserver` and its Python back end, but keeps the back end's
interpreters ("stubs") in folders by version. A back end folder of our own gets the one
of this Python.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

from benchmarks.model import HOME, WEIGHTS_FILE
from benchmarks.speed.environments import (
    Unavailable,
    make_environment,
    site_packages,
)
from benchmarks.speed.servers import Launch

STUB = "triton_python_backend_stub"


def launch() -> Launch:
    """Install Triton where missing.

    Raises:
        Unavailable: It cannot be installed, or has no stub for this Python.
    """
    environment = make_environment("triton")
    packages = site_packages(environment)
    server = packages / "pytriton" / "tritonserver"
    command = [
        str(server / "bin" / "tritonserver"),
        f"--model-repository={Path(__file__).parent / 'models'}",
        f"--backend-directory={assemble_backends(server)}",
        "--http-address=127.0.0.1",
        "--http-port={port}",
        "--allow-grpc=false",
        "--allow-metrics=false",
    ]
    # The stub embeds this interpreter: its library, and its packages, must be found.
    libraries = (sysconfig.get_config_var("LIBDIR"), packages / "nvidia_pytriton.libs")
    environ = {
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "PATH": f"{environment / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": str(packages),
        "WEIGHTS": str(WEIGHTS_FILE),
        # For so small a product OpenBLAS's threads cost a fifth of the throughput.
        "OPENBLAS_NUM_THREADS": "1",
    }
    return Launch(command, environ, "/v2/health/ready")


def assemble_backends(server: Path) -> Path:
    """Lay the Python back end out with the stub of this Python beside it.

    Raises:
        Unavailable: The wheel has no stub for this Python.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server / "python_backend_stubs" / version / STUB
    if not stub.is_file():
        raise Unavailable(f"this Triton has no stub for Python {version}")
    backends = HOME / "triton" / "backends"
    shutil.rmtree(backends, ignore_errors=True)
    shutil.copytree(server / "backends" / "python", backends / "python")
    shutil.copy(stub, backends / "python" / STUB)
    return backends
