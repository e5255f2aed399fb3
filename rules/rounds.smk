# Jobs × clusters × outcomes -> rounds.
#
# A job runs one batch of rounds (`rounds.per_job`, one by default); `take_round` then gives every
# round its own name. What a round holds does not depend on the batch that it was run in.


checkpoint plan_rounds:
    input:
        jobs="results/{study}/jobs.parquet",
    output:
        "results/{study}/rounds.parquet",
    log:
        "results/{study}/logs/plan_rounds.log",
    benchmark:
        "results/{study}/benchmarks/plan_rounds.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        orders=config["rounds"]["orders"],
        seed=config["seed"],
        code=code_of("plan_rounds"),
    script:
        "../scripts/plan_rounds.py"


rule run_rounds:
    input:
        rounds="results/{study}/rounds.parquet",
        jobs="results/{study}/jobs.parquet",
        clusters="results/{study}/clusters.parquet",
        outcomes="results/{study}/outcomes.parquet",
    output:
        temp(directory("results/{study}/rounds/batch_{batch}")),
    log:
        "results/{study}/logs/run_rounds/{batch}.log",
    benchmark:
        "results/{study}/benchmarks/run_rounds/{batch}.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        rounds=rounds_of_batch,
        seed=config["seed"],
        code=code_of("run_rounds"),
    script:
        "../scripts/run_rounds.py"


rule take_round:
    input:
        batch_of_round,
    output:
        "results/{study}/rounds/{round}.parquet",
    log:
        "results/{study}/logs/take_round/{round}.log",
    benchmark:
        "results/{study}/benchmarks/take_round/{round}.tsv"
    conda:
        "../envs/prism.yaml"
    shell:
        "ln -f {input}/{wildcards.round}.parquet {output} 2> {log}"
