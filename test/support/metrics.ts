/** Reads Prometheus's text format: the value of each series, by its name and labels as written. */
export function parseMetrics(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map((line) => {
      const [, series = '', value] = /^(\S+(?:\{.*\})?) (\S+)$/.exec(line) ?? []
      if (value === undefined) throw new Error(`not a sample: ${line}`)
      return [series, Number(value)]
    }),
  )
}

/** The names that are declared, with the suffixes of a histogram's series. */
export function listMetricNames(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  )
}
