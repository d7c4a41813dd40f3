// Serves index.html at http://localhost:8000, and nothing else.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const page = readFileSync(new URL('index.html', import.meta.url));
createServer((_request, response) => response.setHeader('Content-Type', 'text/html; charset=utf-8').end(page)).listen(8000, 'localhost');
