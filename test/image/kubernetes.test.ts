import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { installPythonPackage } from '../support/python.ts'
import { projectDir } from '../support/server.ts'

const folder = join(projectDir, 'deploy', 'kubernetes')
const kustomizations = readdirSync(folder)
const read = (...path: string[]) => readFileSync(join(folder, ...path), 'utf8')

t.test('every kustomization names exactly the files that lie beside it', async (t) => {
  for (const name of kustomizations) {
    const named = [...read(name, 'kustomization.yaml').matchAll(/^ +- (?:path: )?(\S+\.yaml)$/gm)]
    const files = readdirSync(join(folder, name)).filter((file) => file !== 'kustomization.yaml')
    t.same(named.map(([, file]) => file).sort(), files.sort(), name)
  }
})

t.test('the manifests run the image of this version', async (t) => {
  const { version } = JSON.parse(readFileSync(join(projectDir, 'package.json'), 'utf8'))
  for (const name of ['base', 'job']) {
    t.match(read(name, 'kustomization.yaml'), `newTag: ${version}\n`, name)
  }
})

t.test('what kustomize makes of them is valid, field by field', async (t) => {
  if ((await run('kubectl', ['kustomize', '--help'])).exitCode !== 0) {
    return skipLoudly(t, 'kubectl, which renders a kustomization, is not there')
  }
  const validator = await installPythonPackage('kubernetes-validate', '1.37.0', {
    dependencies: true,
  })
  if ('missing' in validator) return skipLoudly(t, validator.missing)

  for (const name of kustomizations) {
    const rendered = await run('kubectl', ['kustomize', join(folder, name)])
    t.equal(rendered.exitCode, 0, rendered.output)
    const validated = await run('python3', ['-m', 'kubernetes_validate', '--strict', '-'], {
      env: { PYTHONPATH: validator.dir },
      input: rendered.output,
    })
    t.equal(validated.exitCode, 0, `${name}: ${validated.output}`)
    t.match(validated.output, /passed for resource (deployment|job)\/commandbus-db/, name)

    const hasReset = rendered.output.includes('RESET_ENABLED')
    t.equal(hasReset, name === 'e2e', `${name} ${hasReset ? 'has' : 'has no'} reset`)
  }
})

t.test('no probe that ends a pod asks for more than that the process answers', async (t) => {
  const deployment = read('base', 'deployment.yaml')

  const asked = (probe: string) =>
    new RegExp(`${probe}:\\s+httpGet: \\{ path: (\\S+), port: http \\}`).exec(deployment)?.[1]
  t.equal(asked('startupProbe'), '/livez')
  t.equal(asked('livenessProbe'), '/livez')
  t.equal(asked('readinessProbe'), '/readyz')
})

function skipLoudly(t: Test, why: string): void {
  process.stderr.write(`\n*** SKIPPED, Kubernetes manifests: ${why} ***\n\n`)
  t.pass('the manifests were not checked', { skip: why })
}

function run(
  command: string,
  args: string[],
  { env = {}, input = '' }: { env?: Record<string, string>; input?: string } = {},
): Promise<{ exitCode: number; output: string }> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env } }
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      const output = error ? `${stdout}${stderr}` : stdout || stderr
      resolve({ exitCode: error ? 1 : 0, output })
    })
    child.stdin?.on('error', () => {}).end(input)
  })
}
