# Builds, nodes -> features of every package.


checkpoint list_packages:
    input:
        builds="results/{study}/builds.parquet",
    output:
        "results/{study}/packages.parquet",
    log:
        "results/{study}/logs/list_packages.log",
    benchmark:
        "results/{study}/benchmarks/list_packages.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        min_builds=config["models"]["min_builds"],
        code=code_of("list_packages"),
    script:
        "../scripts/list_packages.py"


rule extract_features:
    input:
        builds="results/{study}/builds.parquet",
        nodes="results/{study}/nodes.parquet",
    output:
        "results/{study}/features/{package}.parquet",
    log:
        "results/{study}/logs/extract_features/{package}.log",
    benchmark:
        "results/{study}/benchmarks/extract_features/{package}.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        properties=config["features"]["properties"],
        variants=config["features"]["variants"],
        code=code_of("extract_features"),
    script:
        "../scripts/extract_features.py"
