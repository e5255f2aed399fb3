# Features -> one model a package, how good it is, and its outcomes on every cluster.
#
# A job fits the models of one batch of packages (`models.per_job`), because starting Python takes
# longer than most fits; `take_model` then gives every package's model its own name.


rule fit_models:
    input:
        features=features_of_batch,
    output:
        temp(directory("results/{study}/models/batch_{batch}")),
    log:
        "results/{study}/logs/fit_models/{batch}.log",
    benchmark:
        "results/{study}/benchmarks/fit_models/{batch}.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        smoothing=config["models"]["smoothing"],
        code=code_of("fit_models"),
    script:
        "../scripts/fit_models.py"


rule take_model:
    input:
        batch_of_package,
    output:
        "results/{study}/models/{package}.parquet",
    log:
        "results/{study}/logs/take_model/{package}.log",
    benchmark:
        "results/{study}/benchmarks/take_model/{package}.tsv"
    conda:
        "../envs/prism.yaml"
    shell:
        "ln -f {input}/{wildcards.package}.parquet {output} 2> {log}"


rule cross_validate:
    input:
        features=features_of_batch,
    output:
        temp("results/{study}/predictions/batch_{batch}.parquet"),
    log:
        "results/{study}/logs/cross_validate/{batch}.log",
    benchmark:
        "results/{study}/benchmarks/cross_validate/{batch}.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        smoothing=config["models"]["smoothing"],
        folds=config["models"]["folds"],
        seed=config["seed"],
        code=code_of("cross_validate"),
    script:
        "../scripts/cross_validate.py"


rule measure_models:
    input:
        predictions=of_every_batch("results/{study}/predictions/batch_{batch}.parquet"),
        packages="results/{study}/packages.parquet",
    output:
        predictions="results/{study}/predictions.parquet",
        metrics="results/{study}/metrics.parquet",
    log:
        "results/{study}/logs/measure_models.log",
    benchmark:
        "results/{study}/benchmarks/measure_models.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        code=code_of("measure_models"),
    script:
        "../scripts/measure_models.py"


rule predict_outcomes:
    input:
        models=of_every_package("results/{study}/models/{package}.parquet"),
        clusters="results/{study}/clusters.parquet",
    output:
        "results/{study}/outcomes.parquet",
    log:
        "results/{study}/logs/predict_outcomes.log",
    benchmark:
        "results/{study}/benchmarks/predict_outcomes.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        code=code_of("predict_outcomes"),
    script:
        "../scripts/predict_outcomes.py"
