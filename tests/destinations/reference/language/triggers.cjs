// Judges events by triggers as the public package does.
// stdin: {"events": [...], "triggers": ["..."]}
// stdout: [{"error": "..."} | {"verdicts": "0110...", "written": "..."}, ...]
const { readFileSync } = require('node:fs')
const { generateFql, parseFql, validate } = require('@segment/destination-subscriptions')

const { events, triggers } = JSON.parse(readFileSync(0, 'utf8'))

function judge(trigger) {
  const tree = parseFql(trigger)
  if (tree.error) return { error: String(tree.error) }
  try {
    const verdicts = events.map((event) => (validate(tree, event) ? '1' : '0')).join('')
    return { verdicts, written: generateFql(tree) }
  } catch (error) {
    return { error: String(error) }
  }
}

process.stdout.write(JSON.stringify(triggers.map(judge)))
