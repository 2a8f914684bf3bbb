import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.opensearch.Version;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;

/**
 * A real OpenSearch node made of its published jars; its plugins come from the class path.
 *
 * Arguments: the home folder, the classes of the plugins with commas between, then settings as name=value.
 */
public final class OpenSearchNode extends Node {
  // The kind of the collection's elements differs between versions; the compiled constructor does not.
  @SuppressWarnings({"unchecked", "rawtypes"})
  private OpenSearchNode(Environment environment, Collection plugins) {
    super(environment, plugins, true);
  }

  public static void main(String[] arguments) throws Exception {
    Settings.Builder settings = Settings.builder().put("path.home", arguments[0]);
    for (int at = 2; at < arguments.length; at++) {
      String[] pair = arguments[at].split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    Path config = Path.of(arguments[0], "config");
    Environment environment =
        InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), config, () -> "node-1");
    // Public in some versions only.
    Method configure = LogConfigurator.class.getMethod("configure", Environment.class);
    configure.invoke(null, environment);
    Node node = new OpenSearchNode(environment, plugins(arguments[1].split(",")));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
    node.start();
    Thread.currentThread().join();
  }

  /** Before version 3 a node takes the classes themselves, later a description of each. */
  private static Collection<?> plugins(String[] names) throws Exception {
    List<Object> plugins = new ArrayList<>();
    for (String name : names) {
      if (Version.CURRENT.major < 3) plugins.add(Class.forName(name));
      else plugins.add(new PluginInfo(name, "", "1", Version.CURRENT, "21", name, null, List.of(), false));
    }
    return plugins;
  }

  private static void close(Node node) {
    try {
      node.close();
    } catch (Exception failure) {
      failure.printStackTrace();
    }
  }
}
