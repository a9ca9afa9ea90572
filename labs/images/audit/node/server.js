const http = require("node:http");

http.createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  response.end(`${process.env.GREETING || "hello"}\n`);
}).listen(3000, () => console.log("listening on 3000"));
