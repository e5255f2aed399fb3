# Raw records, generated or fetched or the user's own -> builds, nodes.


rule generate_records:
    output:
        "results/{study}/records.tar.zst",
    log:
        "results/{study}/logs/generate_records.log",
    benchmark:
        "results/{study}/benchmarks/generate_records.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        packages=lookup("records/generate/packages", within=config, default=None),
        builds=lookup("records/generate/builds", within=config, default=None),
        seed=config["seed"],
        code=code_of("generate_records"),
    script:
        "../scripts/generate_records.py"


rule fetch_records:
    output:
        "data/downloads/{source}.tar.zst",
    log:
        "data/downloads/{source}.log",
    benchmark:
        "data/downloads/{source}.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        source=lambda wildcards: next(
            source
            for source in config["records"]["sources"]
            if source.get("name") == wildcards.source
        ),
        code=code_of("fetch_records"),
    script:
        "../scripts/fetch_records.py"


rule prepare_records:
    input:
        sources=sources,
    output:
        builds="results/{study}/builds.parquet",
        nodes="results/{study}/nodes.parquet",
        rejected="results/{study}/rejected.parquet",
    log:
        "results/{study}/logs/prepare_records.log",
    benchmark:
        "results/{study}/benchmarks/prepare_records.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        folders=[source.get("folder", "") for source in config["records"].get("sources", [{}])],
        checksums=[
            source.get("sha256") if local_archive(source) else None
            for source in config["records"].get("sources", [{}])
        ],
        code=code_of("prepare_records"),
    script:
        "../scripts/prepare_records.py"
