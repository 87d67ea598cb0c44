// aedes as a program: the argument is its port.
import { Aedes } from 'aedes'
import { createServer } from 'node:net'

const broker = await Aedes.createBroker({ queueLimit: 100000 })
const server = createServer({ noDelay: true }, broker.handle)
server.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 })
