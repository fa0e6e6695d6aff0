// One nanospine process per file:
//   nextflow run examples/nextflow/main.nf --files 'data/*.csv' --units nm --outdir results

nextflow.enable.dsl = 2

params.files = 'data/*.csv'
params.units = 'nm'
params.outdir = 'results'

include { NANOSPINE_SPINES } from './nanospine.nf'

workflow {
    cells = Channel.fromPath(params.files, checkIfExists: true)
                   .map { file -> tuple([id: file.baseName], file) }
    NANOSPINE_SPINES(cells, params.units)
    NANOSPINE_SPINES.out.table
        .map { meta, table -> table }
        .collectFile(name: 'spines.csv', storeDir: params.outdir, keepHeader: true, skip: 1)
}
