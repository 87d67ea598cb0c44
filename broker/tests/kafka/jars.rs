//! Kafka's jars: fetched once by Maven and kept in the target directory, or in `MILLRACE_KAFKA_LIBS`.

use crate::support::tool;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const VERSION: &str = "4.3.1";
/// Oldest Java that this Kafka runs on.
const JAVA_MIN: u32 = 17;

/// Names Kafka, its command-line tools, and the log backend that both leave to their user.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace.test</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>VERSION</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>VERSION</version>
      <exclusions>
        <!-- Half of all jars, for Kafka Connect only. -->
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
"#;

/// What is needed to run Kafka, if it is installed.
pub struct Tools {
    pub java: PathBuf,
    maven: PathBuf,
}

impl Tools {
    pub fn find() -> Option<Tools> {
        let java = tool("java").filter(|java| version(java).is_some_and(|version| version >= JAVA_MIN))?;
        Some(Tools { java, maven: tool("mvn")? })
    }

    /// The folder with the jars; fetched if it is not there. Fails if they cannot be fetched.
    pub fn libs(&self) -> PathBuf {
        let libs = std::env::var_os("MILLRACE_KAFKA_LIBS").map_or_else(
            || {
                let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp");
                target.join(format!("kafka-{VERSION}")).join("libs")
            },
            PathBuf::from,
        );
        if !libs.is_dir() {
            self.fetch(&libs);
        }
        libs
    }

    /// Fetches into a folder beside `libs`, which gets that name only when everything is there: a download that broke
    /// off leaves nothing that looks finished, and two at a time do not disturb each other.
    fn fetch(&self, libs: &Path) {
        let parent = libs.parent().expect("a folder above");
        std::fs::create_dir_all(parent).expect("a folder for the jars");
        let partial = tempfile::Builder::new().prefix("fetching-").tempdir_in(parent).expect("a folder");
        let (pom, jars) = (partial.path().join("pom.xml"), partial.path().join("libs"));
        std::fs::write(&pom, POM.replace("VERSION", VERSION)).expect("written");
        let output = Command::new(&self.maven)
            .args(["-q", "-B", "-f"])
            .arg(&pom)
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", jars.display()))
            .output()
            .expect("Maven can be started");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "Maven cannot fetch Kafka: {}", String::from_utf8_lossy(&said));
        let renamed = std::fs::rename(&jars, libs);
        assert!(renamed.is_ok() || libs.is_dir(), "{}: {renamed:?}", libs.display());
    }
}

/// The major version of a Java.
fn version(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stderr))
}

/// `openjdk version "17.0.15" 2025-04-15` is 17.
fn major(text: &str) -> Option<u32> {
    let number = text.split('"').nth(1)?;
    number.split(['.', '-', '+']).next()?.parse().ok()
}

#[test]
fn versions_of_java() {
    let cases = [
        ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK", Some(17)),
        ("openjdk version \"21\" 2023-09-19", Some(21)),
        ("openjdk version \"22-ea\" 2024-03-19", Some(22)),
        ("java version \"1.8.0_412\"", Some(1)),
        ("bash: java", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(major(text), expected, "{text}");
    }
}
