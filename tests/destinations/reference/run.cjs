// Words requests with the public definitions of tools. Reads a JSON line, answers with one:
//   {"tool", "describe": true}
//     -> {"presets": [{"name", "action", "trigger", "fields"}], "actions": {slug: {"trigger"}}}
//   {"tool", "settings", "auth", "mappings": [{"action", "trigger", "fields", "syncMode"}] | null,
//    "runs": [{"events": [...], "mapping": number | null, "answers": [{"status", "body", "headers"}]}]}
//     -> [[{"mapping", "action", "requests", "error", "results"}], ...], a list for each run
// Without mappings, the tool's automatic presets are taken, or if it has none each action with its
// own trigger. A run of several events is given to an action as one batch. Nothing is sent: the
// n-th request of a mapping gets the n-th answer, later ones 200 {}.

const crypto = require('node:crypto')
const path = require('node:path')
const readline = require('node:readline')

// Some definitions take what their users don't own from the environment.
process.env.ADWORDS_DEVELOPER_TOKEN = 'developer-token'

const NOW = Date.parse('2026-03-04T05:06:07.089Z')
const UUID = '00000000-0000-4000-8000-000000000000'

const RealDate = Date
globalThis.Date = class Date extends RealDate {
  constructor(...parts) {
    super(...(parts.length ? parts : [NOW]))
  }
  static now() {
    return NOW
  }
}
Math.random = () => 0.5
crypto.randomUUID = () => UUID
globalThis.crypto.randomUUID = () => UUID

const resolve = (name, from = __dirname) => require.resolve(name, { paths: [from] })
const home = path.dirname(resolve('@segment/action-destinations/package.json'))
const coreHome = path.dirname(resolve('@segment/actions-core', home))

let recorded = []
let answers = []

async function record(input, init) {
  const request = typeof input === 'string' ? new Request(input, init) : input
  const headers = {}
  request.headers.forEach((value, name) => (headers[name.toLowerCase()] = value))
  const body = await request.text()
  recorded.push({ method: request.method, url: request.url, headers, body })
  const answer = answers.shift() ?? { status: 200, body: {} }
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {})
  return new Response(text, {
    status: answer.status,
    headers: { 'content-type': 'application/json', ...answer.headers },
  })
}

const crossFetch = resolve('cross-fetch', coreHome)
const real = require(crossFetch)
const { Headers, Request, Response } = real
const replaced = Object.assign((...args) => record(...args), real, { fetch: record, default: record })
replaced.default = replaced
require.cache[crossFetch].exports = replaced
globalThis.fetch = record

for (const name of ['@lukeed/uuid', '@lukeed/uuid/secure']) {
  try {
    const file = resolve(name, coreHome)
    require(file)
    require.cache[file].exports = { v4: () => UUID }
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
  }
}

const core = require(coreHome)
const { parseFql, validate } = require(resolve('@segment/destination-subscriptions', coreHome))

// Loaded anew each time, so that nothing an earlier event put into a cache is used.
function load(tool) {
  const folder = path.join(home, 'dist', 'destinations', tool)
  for (const file of Object.keys(require.cache)) {
    if (file.startsWith(folder + path.sep)) delete require.cache[file]
  }
  const module = require(folder)
  return module.default ?? module
}

const defaults = (fields) =>
  Object.fromEntries(
    Object.entries(fields)
      .filter(([, field]) => field.default !== undefined)
      .map(([key, field]) => [key, field.default]),
  )

function presets(definition) {
  const automatic = (definition.presets ?? []).filter(
    (preset) => preset.type === 'automatic' && isServer(definition.actions[preset.partnerAction]),
  )
  if (automatic.length) {
    return automatic.map((preset) => ({
      name: preset.name,
      action: preset.partnerAction,
      trigger: preset.subscribe,
      fields: { ...defaults(definition.actions[preset.partnerAction].fields), ...preset.mapping },
    }))
  }
  return Object.entries(definition.actions)
    .filter(([, action]) => isServer(action) && action.defaultSubscription)
    .map(([slug, action]) => ({
      name: action.title,
      action: slug,
      trigger: action.defaultSubscription,
      fields: defaults(action.fields),
    }))
}

const isServer = (action) => action !== undefined && typeof action.perform === 'function' && action.platform !== 'web'

function mappingsOf(definition, given) {
  if (!given) return presets(definition)
  return given.map((mapping) => {
    const action = definition.actions[mapping.action]
    const fields = { ...defaults(action.fields), ...mapping.fields }
    for (const key of Object.keys(fields)) if (fields[key] === null) delete fields[key]
    if (mapping.syncMode) fields.__segment_internal_sync_mode = mapping.syncMode
    return { ...mapping, trigger: mapping.trigger ?? action.defaultSubscription, fields }
  })
}

// A mapping that its user has not changed has the action's default mode.
function withSyncMode(mapping, action) {
  const mode = mapping.fields.__segment_internal_sync_mode ?? action.syncMode?.default
  return mode ? { ...mapping.fields, __segment_internal_sync_mode: mode } : mapping.fields
}

function failure(error) {
  const status = error.response?.status ?? error.status ?? error.statusCode ?? null
  return { name: error.constructor?.name ?? error.name, status, message: String(error.message) }
}

function statuses(results, count) {
  return Array.from({ length: count }, (_, index) => {
    const status = results?.[index]?.status
    return typeof status === 'number' ? status : 500
  })
}

async function perform(order, mapping, events, canned) {
  recorded = []
  answers = [...(canned ?? [])]
  const destination = new core.Destination(load(order.tool))
  const action = destination.actions[mapping.action]
  const bundle = { mapping: mapping.fields, settings: order.settings, auth: order.auth, features: order.features }
  let error = null
  let results = null
  try {
    if (events.length > 1) {
      results = statuses(await action.executeBatch({ ...bundle, data: events }), events.length)
    } else await action.execute({ ...bundle, data: events[0] })
  } catch (caught) {
    error = failure(caught)
  }
  return { action: mapping.action, requests: recorded, error, results }
}

async function runs(order) {
  const definition = load(order.tool)
  const mappings = mappingsOf(definition, order.mappings).map((mapping, index) => ({
    ...mapping,
    index,
    parsed: parseFql(mapping.trigger),
    fields: withSyncMode(mapping, definition.actions[mapping.action]),
  }))
  const outcomes = []
  for (const { events, answers: canned, mapping: only } of order.runs) {
    const outcome = []
    for (const mapping of mappings) {
      if (typeof only === 'number' && mapping.index !== only) continue
      const taken = events.filter((event) => validate(mapping.parsed, event))
      if (!taken.length) continue
      outcome.push({ mapping: mapping.index, ...(await perform(order, mapping, taken, canned)) })
    }
    outcomes.push(outcome)
  }
  return outcomes
}

function describe(order) {
  const definition = load(order.tool)
  const actions = Object.entries(definition.actions).map(([slug, action]) => [
    slug,
    { trigger: action.defaultSubscription ?? '', fields: Object.keys(action.fields) },
  ])
  return { presets: presets(definition), actions: Object.fromEntries(actions) }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line)
    const answer = order.describe ? describe(order) : await runs(order)
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
}

main()
