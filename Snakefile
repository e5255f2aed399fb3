# Prism: what does compatibility metadata buy a scheduler, and which of it is worth publishing?
#
#   snakemake --cores 8                                        the default study
#   snakemake --cores 8 --configfile config/reliabuild.yaml    the published records
#   snakemake --cores 8 results/buildspace/scores.parquet      one stage and what it needs
#
# The stages, in the order in which data flows. What each table holds: docs/architecture.md

from snakemake.utils import min_version

min_version("9.0")

if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/records.smk"
include: "rules/features.smk"
include: "rules/models.smk"
include: "rules/clusters.smk"
include: "rules/rounds.smk"
include: "rules/scores.smk"
include: "rules/figures.smk"


report: "report/workflow.rst"


rule all:
    default_target: True
    input:
        expand(
            "results/{study}/figures/{figure}.{format}",
            study=config["study"],
            figure=FIGURES,
            format=["svg", "png"],
        ),
        expand(
            "results/{study}/{table}.parquet",
            study=config["study"],
            table=["scores", "cluster_scores", "metrics", "rejected"],
        ),
