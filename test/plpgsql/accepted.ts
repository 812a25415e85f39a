import type { Finding } from './findings.ts'

/** What plpgsql_check reports and we keep, each with the reason. One that is no longer reported is an error. */
const ACCEPTED: readonly { routine: RegExp; message: RegExp; reason: string }[] = [
  {
    routine: /./,
    message: /^target type is different type than source type: cast "(?!text" value to "text\[)/,
    reason: 'A cast in an assignment costs nothing that can be measured beside a statement.',
  },
  {
    routine: /^grant_client$/,
    message: /cast "text" value to "text\[\]" type/,
    reason: "It takes the literal '{}' for text, which PostgreSQL reads as an array.",
  },
  {
    routine: /^sp_finish_command$/,
    message: /^unreachable code/,
    reason: 'It does not see that `exit when found` leads there.',
  },
  {
    routine: /^sp_finish_command$/,
    message: /^unused parameter "p_batch_id"/,
    reason: 'Released clients pass it; the database knows the batch.',
  },
  {
    routine: /^(?:grant_client|(?:grant|install|remove)_legacy_names)$/,
    message: /^text type variable is not sanitized/,
    reason:
      'What is executed comes from the catalogue, quoted by format() or by a cast to regclass or regprocedure.',
  },
  {
    routine: /^remove_legacy_names$/,
    message: /^routine is marked as VOLATILE, should be STABLE/,
    reason: 'It drops what the dynamic statements name.',
  },
]

/** The findings that no entry covers, and the entries that cover none. */
export function compareWithAccepted(findings: readonly Finding[]) {
  const covers = (one: (typeof ACCEPTED)[number]) => (finding: Finding) =>
    one.routine.test(finding.routine) && one.message.test(finding.message)
  return {
    unexpected: findings
      .filter((finding) => !ACCEPTED.some((one) => covers(one)(finding)))
      .map(({ place, level, message }) => `${place}: ${level}: ${message}`),
    outdated: ACCEPTED.filter((one) => !findings.some(covers(one))).map(({ reason }) => reason),
  }
}
