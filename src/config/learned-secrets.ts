/** A variable, or a placeholder of a `.gmrc`, whose name contains one of these holds a secret. */
const SECRET_NAME = /PASSWORD|SECRET|TOKEN|KEY|URL/

/**
 * Secrets that become known after the settings were read: from a file that is read again, a variable
 * that `.gmrc` names, or the embedded server. A mask hides each of them from the moment it is added.
 */
export class LearnedSecrets {
  readonly #values = new Set<string>()

  add(secret: string): void {
    if (secret !== '') this.#values.add(secret)
  }

  /** Adds the value of a variable or a placeholder, if its name says that it is a secret. */
  addNamed(name: string, value: string): void {
    if (SECRET_NAME.test(name)) this.add(value)
  }

  get size(): number {
    return this.#values.size
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#values.values()
  }
}
