// Takes the place of pg/lib/crypto/utils.js: see pg-crypto.mjs.
'use strict'
const { createHash, createHmac, pbkdf2, randomBytes } = require('node:crypto')

module.exports = {
  randomBytes,
  md5,
  postgresMd5PasswordHash: (user, password, salt) =>
    `md5${md5(Buffer.concat([Buffer.from(md5(password + user)), salt]))}`,
  sha256: (data) => hashByName('SHA-256', data),
  hashByName,
  hmacSha256: (key, message) => createHmac('sha256', key).update(message).digest(),
  // In another thread: the server says how many iterations there are.
  deriveKey: (password, salt, iterations) =>
    new Promise((resolve, reject) => {
      pbkdf2(password, salt, iterations, 32, 'sha256', (error, key) =>
        error ? reject(error) : resolve(key),
      )
    }),
}

function md5(data) {
  return createHash('md5').update(data).digest('hex')
}

/** `name` as Web Crypto has it: SHA-256. */
function hashByName(name, data) {
  return createHash(name.replace('-', '')).update(data).digest()
}
