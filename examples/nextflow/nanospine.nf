// A module for one file. Exit 0 is a result, 1 an input at fault, which no retry mends; a process
// that was killed (137: memory) is tried once more with twice the memory.

process NANOSPINE_SPINES {
    tag "${meta.id}"
    cpus 1
    memory { 4.GB * task.attempt }
    errorStrategy { task.exitStatus in [137, 143] ? 'retry' : 'finish' }
    maxRetries 1
    publishDir "${params.outdir}/cells", mode: 'copy'

    input:
    tuple val(meta), path(localizations)
    val units

    output:
    tuple val(meta), path("${meta.id}"), emit: folder
    // With the name of the file in front, so that tables of many files can be put together.
    tuple val(meta), path("${meta.id}.spines.csv"), emit: table
    path 'versions.yml', emit: versions

    script:
    """
    export OMP_NUM_THREADS=${task.cpus} NUMBA_NUM_THREADS=${task.cpus}
    nanospine spines '${localizations}' --units ${units} -o '${meta.id}'
    ID='${meta.id}' awk '{ print (NR == 1 ? "file" : ENVIRON["ID"]) "," \$0 }' \
        '${meta.id}/spines.csv' > '${meta.id}.spines.csv'
    echo "nanospine: \$(nanospine --version | cut -d' ' -f2)" > versions.yml
    """
}
