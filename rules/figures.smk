# Scores, predictions -> figures, each as SVG (in the report) and PNG.

FIGURES = ["scores", "subsystems", "packages", "clusters", "calibration"]


rule plot_scores:
    input:
        scores="results/{study}/scores.parquet",
    output:
        svg=report(
            "results/{study}/figures/scores.svg",
            caption="../report/scores.rst",
            category="Scores",
            labels={"figure": "Score by round"},
        ),
        png="results/{study}/figures/scores.png",
    log:
        "results/{study}/logs/plot_scores.log",
    benchmark:
        "results/{study}/benchmarks/plot_scores.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        code=code_of("plot_scores"),
    script:
        "../scripts/plot_scores.py"


rule plot_subsystems:
    input:
        scores="results/{study}/scores.parquet",
    output:
        svg=report(
            "results/{study}/figures/subsystems.svg",
            caption="../report/subsystems.rst",
            category="Scores",
            labels={"figure": "What each subsystem changed"},
        ),
        png="results/{study}/figures/subsystems.png",
    log:
        "results/{study}/logs/plot_subsystems.log",
    benchmark:
        "results/{study}/benchmarks/plot_subsystems.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        code=code_of("plot_subsystems"),
    script:
        "../scripts/plot_subsystems.py"


rule plot_packages:
    input:
        scores="results/{study}/scores.parquet",
    output:
        svg=report(
            "results/{study}/figures/packages.svg",
            caption="../report/packages.rst",
            category="Scores",
            labels={"figure": "Score by round of every package"},
        ),
        png="results/{study}/figures/packages.png",
    log:
        "results/{study}/logs/plot_packages.log",
    benchmark:
        "results/{study}/benchmarks/plot_packages.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        code=code_of("plot_packages"),
    script:
        "../scripts/plot_packages.py"


rule plot_clusters:
    input:
        cluster_scores="results/{study}/cluster_scores.parquet",
        scores="results/{study}/scores.parquet",
    output:
        svg=report(
            "results/{study}/figures/clusters.svg",
            caption="../report/clusters.rst",
            category="Clusters",
            labels={"figure": "Jobs and score of every cluster"},
        ),
        png="results/{study}/figures/clusters.png",
    log:
        "results/{study}/logs/plot_clusters.log",
    benchmark:
        "results/{study}/benchmarks/plot_clusters.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        code=code_of("plot_clusters"),
    script:
        "../scripts/plot_clusters.py"


rule plot_calibration:
    input:
        predictions="results/{study}/predictions.parquet",
        metrics="results/{study}/metrics.parquet",
    output:
        svg=report(
            "results/{study}/figures/calibration.svg",
            caption="../report/calibration.rst",
            category="Models",
            labels={"figure": "Calibration of the models"},
        ),
        png="results/{study}/figures/calibration.png",
    log:
        "results/{study}/logs/plot_calibration.log",
    benchmark:
        "results/{study}/benchmarks/plot_calibration.tsv"
    conda:
        "../envs/prism.yaml"
    params:
        code=code_of("plot_calibration"),
    script:
        "../scripts/plot_calibration.py"
