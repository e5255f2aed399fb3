"""A source of raw records -> one archive of them."""

from collections.abc import Mapping

from prism.process import logging_to
from prism.records import download


def main(*, source: Mapping[str, str], out: str) -> None:
    download.fetch(source, out)


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(source=snakemake.params.source, out=snakemake.output[0])
