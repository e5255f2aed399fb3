# Features -> clusters; builds -> jobs.


rule draw_clusters:
    input:
        features=of_every_package("results/{study}/features/{package}.parquet"),
    output:
        "results/{study}/clusters.parquet",
    log:
        "results/{study}/logs/draw_clusters.log",
    benchmark:
        "results/{study}/benchmarks/draw_clusters.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        clusters=config["clusters"]["count"],
        design=config["clusters"]["design"],
        seed=config["seed"],
        code=code_of("draw_clusters"),
    script:
        "../scripts/draw_clusters.py"


rule list_jobs:
    input:
        builds="results/{study}/builds.parquet",
        nodes="results/{study}/nodes.parquet",
        packages="results/{study}/packages.parquet",
        clusters="results/{study}/clusters.parquet",
    output:
        "results/{study}/jobs.parquet",
    log:
        "results/{study}/logs/list_jobs.log",
    benchmark:
        "results/{study}/benchmarks/list_jobs.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        properties=config["features"]["properties"],
        variants=config["features"]["variants"],
        code=code_of("list_jobs"),
    script:
        "../scripts/list_jobs.py"
