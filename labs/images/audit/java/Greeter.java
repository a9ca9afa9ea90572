import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

/** Greets at /, and says at /readyz whether it is ready; on TERM it answers what is under way. */
public class Greeter {
    private static volatile boolean ready = false;

    public static void main(String[] arguments) throws IOException, InterruptedException {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            boolean known = exchange.getRequestURI().getPath().equals("/");
            answer(exchange, known ? 200 : 404, known ? "Hello\n" : "Not here\n");
        });
        server.createContext("/readyz", exchange -> answer(exchange, ready ? 200 : 503, ""));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(3)));
        server.start();
        Thread.sleep(1500);
        ready = true;
        System.out.println("ready");
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        System.out.println(exchange.getRequestMethod() + " " + exchange.getRequestURI());
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
