// Reads one JSON document: {mappings: [{mapping, event}], payloads: [{fields, payload}]}.
// Writes what the public package makes of each: {ok: value} or {error: text}.
'use strict'
const { createRequire } = require('node:module')
const path = require('node:path')
const core = path.dirname(require.resolve('@segment/actions-core'))
const load = createRequire(path.join(core, 'index.js'))
const { transform } = load('./mapping-kit/index.js')
const { Destination } = load('./destination-kit/index.js')

const attempt = async (work) => {
  try {
    const value = await work()
    return value === undefined ? { missing: true } : { ok: value }
  } catch (error) {
    return { error: String(error.message || error).slice(0, 300) }
  }
}

const prepare = async (fields, payload, number) => {
  let prepared
  const action = {
    title: `Action ${number}`,
    description: '',
    fields,
    perform: (_request, data) => {
      prepared = data.payload
    },
  }
  const tool = new Destination({ name: `Tool ${number}`, mode: 'cloud', actions: { act: action } })
  await tool.actions.act.execute({
    mapping: { '@literal': payload },
    data: {},
    settings: {},
    auth: undefined,
  })
  return prepared
}

const main = async () => {
  const chunks = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const order = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  const mappings = []
  for (const { mapping, event } of order.mappings) {
    mappings.push(await attempt(() => transform(mapping, event)))
  }
  const payloads = []
  for (const [number, { fields, payload }] of order.payloads.entries()) {
    payloads.push(await attempt(() => prepare(fields, payload, number)))
  }
  process.stdout.write(JSON.stringify({ mappings, payloads }))
}

main()
