# Rounds -> scores.


rule score_rounds:
    input:
        rounds="results/{study}/rounds.parquet",
        placements=every_round,
        jobs="results/{study}/jobs.parquet",
        outcomes="results/{study}/outcomes.parquet",
    output:
        scores="results/{study}/scores.parquet",
        cluster_scores="results/{study}/cluster_scores.parquet",
    log:
        "results/{study}/logs/score_rounds.log",
    benchmark:
        "results/{study}/benchmarks/score_rounds.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        code=code_of("score_rounds"),
    script:
        "../scripts/score_rounds.py"
