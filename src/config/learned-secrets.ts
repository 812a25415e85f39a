/**
 * Secrets that become known after the settings were read: from a file that is read again, a variable
 * that `.gmrc` names, or the embedded server. A mask hides each of them from the moment it is added.
 */
export class LearnedSecrets {
  readonly #values = new Set<string>()

  add(secret: string): void {
    if (secret !== '') this.#values.add(secret)
  }

  get size(): number {
    return this.#values.size
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#values.values()
  }
}
