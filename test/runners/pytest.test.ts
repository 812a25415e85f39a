// The example for pytest, with the plugin as pip installs it and pytest-xdist, beside an npm package that starts the
// service.
import { execFile, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { readProjectFile, root } from '../support/files.ts'
import { installPythonPackage } from '../support/python.ts'
import { createProject, createWorkshop, runIn, waitUntilStopped } from './project.ts'

const workshop = createWorkshop(t)
const plugin = join(workshop.dir, 'plugin')
const wanted = ['pytest', 'pytest-xdist', 'psycopg[binary]']
const packages = await Promise.all(
  wanted.map((name) => installPythonPackage(name, readPinned(name), { dependencies: true })),
)
const missing = packages.flatMap((found) => ('missing' in found ? [found.missing] : []))
if (missing.length === 0) missing.push(...(await installPlugin()))
const skip = missing.length > 0 && `NOT TESTED: ${missing.join('; ')}`
const path = [plugin, ...packages.flatMap((found) => ('dir' in found ? [found.dir] : []))]
const env = { PYTHONPATH: path.join(delimiter), PYTHONDONTWRITEBYTECODE: '1' }
const pytest = ['-m', 'pytest', '-p', 'no:cacheprovider']

const MEETING = `
import pathlib, time

def meet(name):
    met = pathlib.Path("met")
    met.mkdir(exist_ok=True)
    (met / name).touch()
    while len(list(met.iterdir())) < 2:
        time.sleep(0.02)

def test_first(commandbus_database):
    meet(commandbus_database.name)

def test_second(commandbus_database):
    meet(commandbus_database.name)
`

t.test('two workers of pytest-xdist have a database each', { skip }, async (t) => {
  const project = createProject(workshop, 'pytest', { 'test_meeting.py': MEETING })
  linkPackage(project)

  const output = await runIn(project, workshop, 'python3', [...pytest, '-n', '3'], env)

  t.match(output, /3 passed/)
  t.equal(readdirSync(join(project, 'met')).length, 2)
  t.notMatch(output, /postgres:\/\//)
  await waitUntilStopped(workshop)
})

t.test('all tests of a worker share one if the settings say so', { skip }, async (t) => {
  const test = `
def test_first(commandbus_database, record):
    record(commandbus_database.name)

def test_second(commandbus_database, record):
    record(commandbus_database.name)
`
  const conftest = `
import pytest

@pytest.fixture
def record():
    def write(name):
        with open("names", "a") as file:
            file.write(name + "\\n")
    return write
`
  const project = createProject(workshop, 'pytest', {
    'test_shared.py': test,
    'conftest.py': conftest,
  })
  const options = ['-n', '0', '-o', 'commandbus_database_per=worker', 'test_shared.py']

  const output = await runIn(project, workshop, 'python3', [...pytest, ...options], env)

  t.match(output, /2 passed/)
  const names = readFileSync(join(project, 'names'), 'utf8').trim().split('\n')
  t.equal(names.length, 2)
  t.equal(new Set(names).size, 1)
  await waitUntilStopped(workshop)
})

t.test(
  'without a service and without the npm package, the error says what to do',
  { skip },
  async (t) => {
    const bare = createWorkshop(t)
    const project = createProject(bare, 'pytest', {})

    const run = runIn(project, bare, 'python3', [...pytest, '-n', '0'], env)

    await t.rejects(run, /no service for the tests: set COMMANDBUS_DB_URL and TEST_DATABASES_TOKEN/)
  },
)

function readPinned(name: string): string {
  const lines = readProjectFile('examples/testing/pytest/requirements.txt').split('\n')
  return lines.find((line) => line.startsWith(`${name}==`))?.split('==')[1] ?? 'missing'
}

async function installPlugin(): Promise<string[]> {
  if (spawnSync('python3', ['-m', 'pip', '--version']).status !== 0) return ['no python3 with pip']
  mkdirSync(plugin)
  // pip builds where the sources are.
  const sources = join(workshop.dir, 'sources')
  cpSync(join(root, 'clients', 'python'), sources, { recursive: true })
  const options = ['--quiet', '--no-deps', '--disable-pip-version-check', '--target', plugin]
  try {
    await promisify(execFile)('python3', [...['-m', 'pip', 'install', ...options, sources]])
    return []
  } catch (error) {
    return [`the plugin could not be installed: ${(error as Error).message.split('\n').at(-2)}`]
  }
}

function linkPackage(project: string): void {
  mkdirSync(join(project, 'node_modules'), { recursive: true })
  symlinkSync(root, join(project, 'node_modules', 'commandbus-db'))
}
