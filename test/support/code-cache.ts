/** For `node --import`: reports for each script with a code cache whether V8 rejected that, on standard error. */
export const REPORT_CACHES = `data:text/javascript,${encodeURIComponent(`
  import vm from 'node:vm'
  vm.Script = class extends vm.Script {
    constructor(source, options) {
      super(source, options)
      const { cachedDataRejected: rejected = 'none' } = this
      process.stderr.write('cache of ' + options.filename + ' rejected: ' + rejected + '\\n')
    }
  }
`)}`
