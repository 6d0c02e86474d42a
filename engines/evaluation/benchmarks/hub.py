"""Downloads published data from the Hugging Face hub."""

from collections.abc import Sequence
from pathlib import Path

from engines.evaluation.benchmarks.catalogue import Benchmark
from engines.evaluation.benchmarks.items import BenchmarkError


def download(benchmark: Benchmark, data: Path, subsets: Sequence[str] = ()) -> None:
    """Fetch what is missing of a dataset into a folder, with progress bars on standard error.

    Raises `BenchmarkError` where there is no network, or no such dataset on the hub.
    """
    try:
        import httpx2
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise BenchmarkError(
            "--hub needs huggingface_hub: pip install 'assistant[evaluate]'"
        ) from error
    patterns = [f"{name}/*" for name in subsets] if len(benchmark.subsets) > 1 else []
    if benchmark.name == "mmau":
        patterns = ["*.parquet"]  # the sounds are in it, and once more beside it
    try:
        snapshot_download(
            benchmark.hub,
            repo_type="dataset",
            local_dir=data,
            allow_patterns=patterns or None,
        )
    except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
        raise BenchmarkError(
            f"{benchmark.hub} cannot be downloaded ({reason}); without a network, copy the data "
            "and leave --hub out"
        ) from error
