//! Every route of the router, read from its source: the router itself cannot be asked.

/// A route: its path, and the methods it has handlers for; none stands for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) path: String,
    pub(crate) methods: Vec<http::Method>,
}

impl Route {
    /// The path with `values` in place of its variables, in their order; the last one again where there are too few.
    pub(crate) fn filled(&self, values: &[&str]) -> String {
        let mut values = values.iter();
        let mut last = "x";
        let mut fill = |segment: &str| {
            if !segment.starts_with('{') {
                return segment.to_owned();
            }
            last = values.next().unwrap_or(&last);
            last.to_owned()
        };
        self.path.split('/').map(&mut fill).collect::<Vec<_>>().join("/")
    }

    pub(crate) fn is_variable(&self) -> bool {
        self.path.contains('{')
    }
}

/// All of them, in the order in which they are declared.
pub(crate) fn all() -> Vec<Route> {
    let source = include_str!("../../src/router.rs");
    let body = source.split_once("fn of(").expect("the router").1;
    let body = body.split_once(".fallback(").expect("its end").0;
    body.split(".route(").skip(1).map(route).collect()
}

fn route(declaration: &str) -> Route {
    let declaration = declaration.trim();
    let (path, handlers) = match declaration.strip_prefix('"') {
        Some(rest) => rest.split_once('"').expect("a path"),
        None => declaration.split_once(',').expect("a constant"),
    };
    let path = match path {
        "toolbox::ROUTE" => "/toolbox/{*rest}",
        literal => literal,
    };
    assert!(path.starts_with('/'), "unknown constant {path}");
    let methods = ["get", "post", "put", "patch", "delete"];
    let methods = methods.iter().filter(|method| {
        [',', ' ', '.', '\n'].iter().any(|before| handlers.contains(&format!("{before}{method}(")))
    });
    let methods = methods.map(|method| method.to_uppercase().parse().unwrap());
    Route { path: path.to_owned(), methods: methods.collect() }
}

#[test]
fn the_routers_source_is_understood() {
    let routes = all();
    let found = |path: &str| {
        let route = routes.iter().find(|route| route.path == path).expect(path);
        route.methods.iter().map(http::Method::as_str).collect::<Vec<_>>()
    };
    assert_eq!(found("/api/sandbox/{idOrName}"), ["GET", "DELETE"]);
    assert_eq!(found("/api/organizations/{organizationId}"), ["GET", "DELETE"]);
    assert_eq!(found("/api/sandbox/{idOrName}/start"), ["POST"]);
    assert_eq!(found("/toolbox/{*rest}"), [""; 0]);
    let declared = include_str!("../../src/router.rs").split_once(".fallback(").unwrap().0;
    assert_eq!(routes.len(), declared.matches(".route(").count());
}
